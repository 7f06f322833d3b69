"""Figures of scans and fits, and how figures are saved."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from small_cohorts import planted, short_fit

import genoattn
from genoattn import plot
from genoattn.errors import InputError
from genoattn.fitting.metrics import r2
from genoattn.views.marginal import marginal_effects


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(1)
    first, second, noise = rng.normal(size=(3, 3000))
    columns = {"observed": first + second + 0.5 * noise, "predicted": first + second, "order_1": first}
    return pd.DataFrame({"IID": [f"s{k}" for k in range(3000)], "part": "fold 1", **columns, "sd": 0.5})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    result = short_fit(planted(120, 4, kind="sequence", seed=1), order=2, link="monotone", rank=2)
    folder = tmp_path_factory.mktemp("fit") / "out"
    result.save(folder)
    return result, folder


def points(ax):
    return np.concatenate([c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)])


def test_plot_is_resolved_late():
    code = "import sys, genoattn; genoattn.plot; print({'torch', 'matplotlib'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match=r"module 'genoattn\.plot' has no attribute 'pie'"):
        _ = plot.pie


def test_manhattan_draws_every_p_value():
    cohort = planted(150, 6, seed=1)
    ax = plot.manhattan(cohort)
    expected = -np.log10(marginal_effects(cohort)["p_value"])
    assert sorted(points(ax)[:, 1]) == pytest.approx(sorted(expected))
    assert any(text.get_text() == "0.05 /\n6" for text in ax.texts)


def test_qq_of_a_scan_and_of_its_folder_are_the_same(tmp_path):
    scan = genoattn.scan_pairs(planted(150, 12, seed=1), threshold=0.5)
    scan.save(tmp_path / "scan")
    found = [plot.qq(source) for source in (scan, scan.table, tmp_path / "scan")]
    drawn = [ax.lines[-1].get_xydata() for ax in found]
    assert len(drawn[0]) == len(scan) < 66
    assert drawn[0][0, 1] == pytest.approx(-np.log10(scan.frame["p_value"].min()))
    assert drawn[0][0, 0] == pytest.approx(-np.log10(0.5 / 66))
    assert all(np.allclose(d, drawn[0]) for d in drawn)
    assert found[2].get_title(loc="right") == f"66 tests, {len(scan)} p-values kept"


def test_qq_refuses_rows_that_were_chosen(fitted, tmp_path):
    with pytest.raises(InputError, match="rows of a fitted table were chosen by their evidence"):
        plot.qq(fitted[0].table)
    with pytest.raises(InputError, match=r"no scan\.json there; give the output folder of genoattn scan"):
        plot.qq(tmp_path)
    with pytest.raises(InputError, match="the frame has no column p_value"):
        plot.qq(pd.DataFrame({"p": [0.1]}))
    with pytest.raises(InputError, match="no p-value was kept; scan with a larger threshold"):
        plot.qq(pd.DataFrame({"p_value": []}), n_tests=10)


def test_variance_draws_shares_and_gains(fitted, predictions, tmp_path):
    result, folder = fitted
    shares = result.variance["share_of_phenotype"]
    shutil.copytree(folder, tmp_path / "alone")
    (tmp_path / "alone" / "predictions.tsv").unlink()
    alone = plot.variance(tmp_path / "alone")
    assert [bar.get_height() for bar in alone.patches] == pytest.approx(shares, rel=1e-4)
    assert alone.get_title(loc="right") == "no held-out predictions"
    shutil.copytree(folder, tmp_path / "run")
    predictions.to_csv(tmp_path / "run" / "predictions.tsv", sep="\t", index=False)
    ax = plot.variance(tmp_path / "run")
    heights = [bar.get_height() for bar in ax.patches]
    y, first, both = (predictions[c].to_numpy() for c in ("observed", "order_1", "predicted"))
    assert heights[2:] == pytest.approx([r2(y, first), r2(y, both) - r2(y, first)])
    assert ax.get_title(loc="right") == "3,000 samples, cross-fitted"


def test_link_is_the_curve_of_the_folder(fitted):
    result, folder = fitted
    curve = pd.read_csv(folder / "link.tsv", sep="\t")
    for source in (result, folder):
        line = plot.link(source).lines[1].get_xydata()
        assert line == pytest.approx(curve[["latent", "predicted"]].to_numpy(), rel=1e-6)


def test_models_without_a_link_are_told(tmp_path):
    result = short_fit(planted(60, 3, seed=1), order=1)
    with pytest.raises(InputError, match="the model has no link; fit with link"):
        plot.link(result)
    result.save(tmp_path / "fit")
    with pytest.raises(InputError, match=r"no link\.tsv there; the model has no link"):
        plot.link(tmp_path / "fit")
    with pytest.raises(InputError, match=r"no manifest\.json there; give the output folder of genoattn fit"):
        plot.link(tmp_path)


def test_fit_draws_held_out_samples(predictions):
    ax = plot.fit(predictions)
    assert len(points(ax)) == 2000
    own = set(map(tuple, predictions[["predicted", "observed"]].to_numpy().tolist()))
    assert set(map(tuple, points(ax).tolist())) <= own
    assert ax.get_title(loc="right").startswith("3,000 held-out samples, 2,000 shown, R² 0.8")
    with pytest.raises(InputError, match="no sample was held out; fit with a test part"):
        plot.fit(predictions.assign(part="training"))


def test_fit_and_calibration_of_a_binary_trait(predictions):
    chance = 1 / (1 + np.exp(-2 * predictions["predicted"]))
    binary = predictions.assign(observed=(predictions["observed"] > 0) * 1.0, predicted=chance, sd=np.nan)
    ax = plot.fit(binary)
    assert "AUC 0.9" in ax.get_title(loc="right")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["controls", "cases"]
    line = plot.calibration(binary).containers[0].lines[0].get_xydata()
    assert len(line) == 10
    assert line[0, 1] < 0.1 < 0.9 < line[-1, 1]


def test_calibration_draws_shares_inside(predictions):
    line = plot.calibration(predictions).containers[0].lines[0].get_xydata()
    assert line[:, 1] == pytest.approx(line[:, 0], abs=0.04)
    assert line[-1, 0] == 0.95


def test_saved_text_stays_text(tmp_path, predictions):
    ax = plot.fit(predictions)
    plot.save(ax, tmp_path / "figure.svg")
    assert ">predicted trait<" in (tmp_path / "figure.svg").read_text()
    plot.save(ax.figure, tmp_path / "figure.pdf")
    assert (
        b"/FontType 42" in (tmp_path / "figure.pdf").read_bytes()
        or b"/CIDFontType2" in (tmp_path / "figure.pdf").read_bytes()
    )
    plot.save(ax, tmp_path / "figure.png")
    with pytest.raises(InputError, match=r"figure\.png: already exists"):
        plot.save(ax, tmp_path / "figure.png", force=False)
    with pytest.raises(InputError, match=r"unknown ending \.docx; name it \.pdf"):
        plot.save(ax, tmp_path / "figure.docx")


def test_sizes_of_figures():
    assert plot.figure(2).get_size_inches()[0] * 25.4 == pytest.approx(183)
    with pytest.raises(InputError, match="columns is 3; choose 1 or 2"):
        plot.figure(3)
    with pytest.raises(InputError, match="height is -1; give millimetres, above 0"):
        plot.figure(1, -1)
