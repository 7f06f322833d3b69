"""Features of sites from a table and from INFO."""

from pathlib import Path

import pytest

import genoattn
from genoattn.errors import InputError
from genoattn.io.genotype_records import info_label

VCF = """##fileformat=VCFv4.3
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	a	b	c
1	10	rs1	A	C	.	.	GENE=g1;CSQ=missense	GT	0/1	0/0	1/1
1	20	.	A	C,G	.	.	GENE=g2;CSQ=stop,synonymous;DB	GT	0/1	0/2	0/0
2	30	rs3	A	C	.	.	CSQ=.	GT	0/1	0/0	1/1
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_info_entries_become_features(tmp_path):
    cohort = genoattn.read(write(tmp_path, "x.vcf", VCF), info=("GENE", "CSQ", "DB"), filters=False)
    assert cohort.sites.features["GENE"].tolist() == ["g1", "g2", "g2", ""]
    assert cohort.sites.features["CSQ"].tolist() == ["missense", "stop", "synonymous", ""]
    assert cohort.sites.features["DB"].tolist() == ["", "yes", "yes", ""]


def test_table_matches_by_id_and_by_position(tmp_path):
    table = write(tmp_path, "f.tsv", "site\tgene\tregion\nrs3\tg3\tNA\n1:20\tg2\texon\nother\tx\ty\n")
    cohort = genoattn.read(write(tmp_path, "x.vcf", VCF), features=table, filters=False)
    assert cohort.sites.features["gene"].tolist() == ["", "g2", "g2", "g3"]
    assert cohort.sites.features["region"].tolist() == ["", "exon", "exon", ""]
    assert "features gene, region of 3 of 4 sites" in cohort.log
    assert cohort.select_sites([3]).sites.features["gene"].tolist() == ["g3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene\nx\n", "no column site in the header .gene.; name the ID column site"),
        ("site\nrs1\n", "no feature, only the column site; add one, for example gene"),
        ("site\tstate\nrs1\tx\n", "a feature cannot be called 'state'"),
        ("site\tgene\nrs1\tx\nrs1\ty\n", "site 'rs1' has two rows; keep one of them"),
        (
            "site\tgene\nq1\tx\nq2\ty\n",
            "no site in common with the genotypes; sites there: q1, q2; sites of the",
        ),
        ("site\tgene\tgene\nrs1\tx\ty\n", "two columns are named 'gene'; rename one of them"),
    ],
)
def test_mistakes_in_a_table(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        genoattn.read(write(tmp_path, "x.vcf", VCF), features=write(tmp_path, "f.tsv", text), filters=False)


def test_mistakes_with_info(tmp_path):
    with pytest.raises(InputError, match="no record has the INFO entry AF"):
        genoattn.read(write(tmp_path, "x.vcf", VCF), info=("AF",), filters=False)
    with pytest.raises(InputError, match="INFO entries are for VCF and BCF"):
        genoattn.read(write(tmp_path, "x.fasta", ">a\nAC\n>b\nAG\n"), info=("AF",))


def test_info_label_by_hand():
    assert info_label("A=1,2;B;C=x", "A", 1, 2) == "2"
    assert info_label("A=1,2;B;C=x", "A", 1, 3) == "1,2"
    assert info_label("A=1,2;B;C=x", "B", 0, 1) == "yes"
    assert info_label("AB=1", "A", 0, 1) == ""
