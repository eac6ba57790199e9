"""Tables as Markdown and LaTeX: read back, they have the same cells, whatever characters these have."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from raysweep.results.markup import to_latex, to_markdown
from raysweep.results.tables import Table, TableRow

TEX = next(filter(None, map(shutil.which, ("pdflatex", "lualatex", "tectonic"))), None)
EVIL = r"a_b & 50 % of $x^2 #1 {~}\end <|>[*"
TABLE = Table(
    caption="Methods & their PGR",
    columns=("task", "method", "PGR [90 %]"),
    rows=(
        TableRow(cells=("[boolq]", EVIL, "0.96 [0.86, 1.08]")),
        TableRow(cells=("*sciq", "small → large", "undefined")),
    ),
    num_names=2,
    note="* one\n* two_three",
)


def test_latex_has_booktabs_and_every_cell() -> None:
    text = to_latex([TABLE, TABLE])
    assert text.startswith("% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs}\n\\begin{table}\n")
    for name in ("toprule", "midrule", "bottomrule", "begin{table}", "end{table}", "begin{tabular}{llr}"):
        assert text.count(f"\\{name}") == 2
    assert text.count("{") - text.count("\\{") == text.count("}") - text.count("\\}")
    body = text.split("\\midrule\n")[1].split("    \\bottomrule")[0]
    rows = [line.strip().removesuffix(" \\\\") for line in body.splitlines()]
    cells = [re.split(r"(?<!\\)&", row) for row in rows]
    assert [len(row) for row in cells] == [3, 3]
    assert rows[0].startswith("{[}boolq{]}") and rows[1].startswith("{*}sciq")  # no argument of the \\ before
    assert cells[0][1].strip() == (
        r"a\_b \& 50 \% of \$x\textasciicircum{}2 \#1 \{\textasciitilde{}\}\textbackslash{}end "
        r"\textless{}\textbar{}\textgreater{}{[}{*}"
    )
    assert r"small $\rightarrow$ large" in cells[1][1]
    # Nothing that TeX reads as a command or a comment is left of what a user wrote.
    plain = re.sub(r"\\([a-z]+|[&%$#_{}])", "", body)
    assert not re.search(r"[%$#_^~\\]", plain.replace("$$", "").replace(" \\\\", ""))
    assert r"\par\footnotesize {*} two\_three" in text


@pytest.mark.skipif(TEX is None, reason="no TeX on this machine")
def test_latex_compiles(tmp_path: Path) -> None:
    preamble = (
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs}\n\\begin{document}\n"
    )
    (tmp_path / "page.tex").write_text(preamble + to_latex([TABLE]) + "\\end{document}\n")
    done = subprocess.run(
        [str(TEX), "-interaction=nonstopmode", "page.tex"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and (tmp_path / "page.pdf").exists(), done.stdout[-2000:]


def test_markdown_has_every_cell() -> None:
    text = to_markdown([TABLE])
    lines = text.splitlines()
    assert lines[0] == "**Methods & their PGR**"
    table = [line for line in lines if line.startswith("|")]
    assert table[1] == "| --- | --- | ---: |" and len(table) == 4
    cells = [
        [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table
    ]
    assert cells[0] == list(TABLE.columns) and cells[2:] == [list(row.cells) for row in TABLE.rows]
    assert lines[-1] == "\\* two\\_three" and text.endswith("\n")
