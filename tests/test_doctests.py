"""Every exported name has an example in its docstring, and the example runs."""

import doctest
import logging

import pytest

import genoattn
from genoattn.simulate import simulate_cohort

EXPORTED = {name: getattr(genoattn, name) for name in genoattn.__all__}


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_name_has_an_example(name):
    doc = EXPORTED[name].__doc__
    assert "    Examples\n    --------\n    >>> " in doc


@pytest.mark.parametrize("name", [*EXPORTED, "simulate_cohort"])
def test_the_example_runs(name, monkeypatch, tmp_path, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.CRITICAL)
    thing = simulate_cohort if name == "simulate_cohort" else EXPORTED[name]
    # Of a class its own docstring alone.
    test = doctest.DocTestParser().get_doctest(thing.__doc__, {name: thing}, name, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    lines = []
    runner.run(test, out=lines.append)
    assert test.examples
    assert runner.failures == 0, "".join(lines)
