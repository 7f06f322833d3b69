"""Every exported name has an example in its docstring, and the example runs."""

import doctest
import logging

import pytest

import genoattn
from genoattn import attention, plot, simulate, tokens
from genoattn.scan.scores import pair_tiles

# What the packages export, and the tiles of a scan; constants and aliases of types have no docstring.
EXPORTED = {
    name: getattr(package, name)
    for package in (genoattn, attention, plot, simulate, tokens)
    for name in package.__all__
    if name not in ("ARCHITECTURES", "ENCODINGS", "Encoding", "PALETTE")
} | {"pair_tiles": pair_tiles}


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_name_has_an_example(name):
    doc = EXPORTED[name].__doc__
    assert "    Examples\n    --------\n    >>> " in doc


@pytest.mark.parametrize("name", EXPORTED)
def test_the_example_runs(name, monkeypatch, tmp_path, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.CRITICAL)
    thing = EXPORTED[name]
    # Of a class its own docstring alone.
    test = doctest.DocTestParser().get_doctest(thing.__doc__, {name: thing}, name, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    lines = []
    runner.run(test, out=lines.append)
    assert test.examples
    assert runner.failures == 0, "".join(lines)
