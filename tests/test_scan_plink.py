"""Every pair of a small set against PLINK 1.9's own output (tests/golden/scan_plink)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genoattn

GOLDEN = Path(__file__).parent / "golden" / "scan_plink"


@pytest.mark.parametrize("calls", ["complete", "missing"])
@pytest.mark.parametrize(("trait", "ending"), [("quantity", "epi.qt"), ("disease", "epi.cc")])
def test_every_pair_equals_plink(calls, trait, ending):
    cohort = genoattn.read(GOLDEN / f"{calls}.vcf", GOLDEN / "traits.txt", trait, maf=0, max_missing=1)
    result = genoattn.scan_pairs(cohort, threshold=1.0)
    frame = result.frame.assign(wald=result.plink_frame()["STAT"]).set_index(["site_1", "site_2"])
    plink = pd.read_csv(GOLDEN / f"{calls}.{trait}.{ending}", sep=r"\s+")
    assert len(frame) == len(plink) == 66
    for row in plink.itertuples():
        ours = frame.loc[(row.SNP1, row.SNP2)]
        # Four significant digits of t, which are those of its square but for a factor 2; PLINK prints six.
        assert ours["wald"] == pytest.approx(row.STAT, rel=1e-4)
        effect = ours["coefficient"] if trait == "quantity" else np.exp(ours["coefficient"])
        assert effect == pytest.approx(row.BETA_INT if trait == "quantity" else row.OR_INT, rel=1e-4)
