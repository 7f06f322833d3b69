"""Reports to lay out: a usual one, one with hostile names, a large one, an empty one."""

import math

from genoattn.report.document import Column, DataTable, Detail, Figure, Report, Section

HOSTILE = (
    "<img src=x onerror=\"document.title='run'\">",
    '"><script>document.title="run"</script>',
    "&amp; it's <b>bold</b>",
    "=cmd()",
    "\u05d0\u05d1\u05d2 1:200",
    "\u062c\u064a\u0646_7",
    "long" * 75,
    "]]>--><!--\u2028x",
    "${constructor}",
)
COLUMNS = (
    Column("site_1", "Site 1", help="First site of the term."),
    Column("site_2", "Site 2"),
    Column("pos_1", "Position", "number", "Position of the first site, from 1."),
    Column("effect", "Effect", "number", "Change of the trait, in its units."),
    Column("p_value", "p-value", "p", "Two-sided, from held-out samples."),
    Column("flag", "Flag", help="What to beware of: linked, rare."),
)

FILES = DataTable(
    "files",
    "Files of the run",
    [Column("file", "File"), Column("bytes", "Bytes", "number")],
    [["interactions.tsv", 20480], ["manifest.json", 4096]],
    "files.tsv",
)


def bar_figure(key, names, title="Share of the variance"):
    heights = [1 / (number + 1) for number in range(len(names))]
    return Figure(
        key,
        title,
        f"Bars of {len(names)} names; the highest, {names[0]}, is 1 and the lowest {heights[-1]:.2g}.",
        [{"type": "bar", "x": list(names), "y": heights, "name": names[0]}],
        {"yaxis": {"title": "Variance explained"}, "xaxis": {"title": names[0]}},
        note="A higher bar explains more.",
    )


def heat_map(key, names, width=None):
    z = [[math.sin(i * j + i) for j in range(len(names))] for i in range(len(names))]
    z[0][0] = math.nan
    layout = {"width": width, "height": 560} if width else {}
    return Figure(
        key,
        "Interactions of pairs",
        f"A square of {len(names)} sites; colours are effects.",
        [{"type": "heatmap", "x": list(names), "y": list(names), "z": z, "colorscale": "RdBu"}],
        layout,
    )


def scatter(key):
    x = [number / 50 for number in range(200)]
    y = [value + math.sin(number * 1.7) / 2 for number, value in enumerate(x)]
    return Figure(
        key,
        "Predicted and observed values of held-out samples",
        "Two hundred samples lie along the diagonal.",
        [
            {"type": "scatter", "mode": "markers", "x": x, "y": y, "name": "validation"},
            {"type": "scatter", "mode": "lines", "x": [0, 4], "y": [0, 4], "name": "equal"},
        ],
        {"xaxis": {"title": "Predicted"}, "yaxis": {"title": "Observed"}},
        note="Points on the line are predicted exactly.",
    )


def terms_table(n_rows, n_details, names=("Chr1_101", "Chr2_202", "Chr3_303")):
    rows = [
        [
            names[number % len(names)],
            f"Chr5_{number}",
            10_000_000 + 17 * number,
            math.sin(number) / 3,
            1.9 * 10 ** (-17 + 16.5 * number / n_rows),
            ("", "linked", "rare")[number % 3],
        ]
        for number in range(n_rows)
    ]
    rows[-1][3:5] = [math.nan, None]
    details = {
        number: Detail(
            f"{rows[number][0]} with {rows[number][1]} adds {rows[number][3]:.3g} to the trait "
            "(p = 1.9e-17), 95 % sure.",
            [("Samples", "1,204"), ("Site", str(rows[number][0]))],
            bar_figure(f"cells-{number}", [str(rows[number][0]), "AB", "Ab", "ab"], "Means of the cells"),
        )
        for number in range(n_details)
    }
    return DataTable(
        "terms", "Interaction terms", COLUMNS, rows, "interactions.tsv", details, "All terms kept."
    )


def usual_report():
    sites = [f"Chr{1 + number // 3}_{number}00" for number in range(12)]
    return Report(
        "Butenyl glucosinolate: fit of a cross",
        ["Which pairs of 12 sites act together on the trait, in 400 lines of a cross?"],
        [
            "Chr1_101 with Chr5_0 lowers the trait by 0.31 units (95 % interval 0.21 to 0.41, p = 1.9e-17).",
            "Chr2_202 with Chr5_1 raises it by 0.28 units.",
            "Pairs explain 14 % of the variance, single sites 52 %.",
        ],
        ["The p-values are of held-out samples; 5 % of the claims are expected to be false."],
        ["The file of genotypes has changed since the fit.", "Version 0.1 wrote this folder."],
        [
            Section(
                "fit",
                "How well the model predicts",
                ["R\u00b2 of held-out samples is 0.66; of a model without interactions 0.52."],
                [scatter("predicted"), bar_figure("orders", ["single sites", "pairs", "triples"])],
            ),
            Section(
                "terms", "Terms", ["Each row is a term."], [heat_map("pairs", sites)], [terms_table(250, 12)]
            ),
            Section("wide", "A wide figure", (), [heat_map("landscape", sites, width=1400)]),
        ],
        [
            ("Version", "0.2.0"),
            ("Seed", "1"),
            ("Command", "genoattn fit cross.vcf --pheno traits.tsv -o run"),
        ],
    )


def hostile_report():
    text = [f"Site {name} acts." for name in HOSTILE]
    sections = [
        Section(
            "hostile",
            HOSTILE[0],
            text,
            [bar_figure("bars", HOSTILE), heat_map("heat", HOSTILE)],
            [terms_table(30, 9, HOSTILE)],
        )
    ]
    return Report(HOSTILE[1], text, text, text, text, sections, [(name, name) for name in HOSTILE])


def large_report():
    return Report(
        "Large", ["?"], ["!"], ["."], (), [Section("terms", "Terms", tables=[terms_table(10_000, 50)])]
    )


def empty_report():
    return Report(
        "Nothing found", ["Which sites act together?"], ["No term passed."], ["Nothing is claimed."]
    )


def small_report():
    files = Section("files", "Files", tables=[FILES])
    return Report("Files", ["Which files?"], ["Two."], ["Sure."], sections=[files])
