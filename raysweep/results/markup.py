"""Tables as Markdown and as LaTeX, for a paper or a page."""

from __future__ import annotations

from collections.abc import Sequence

from raysweep.results.tables import Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Other glyphs in TeX's own fonts.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # After \\ these would be read as its argument.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "Σ": r"$\Sigma$",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
}
"""What stands for a character in LaTeX; all others stand for themselves."""
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|~$"})


def to_markdown(tables: Sequence[Table]) -> str:
    """Tables in Markdown as GitHub renders it: caption, table and note of each."""
    return "\n\n".join(map(_markdown, tables)) + "\n"


def _markdown(table: Table) -> str:
    rule = ["---" if place < table.num_names else "---:" for place in range(len(table.columns))]
    rows = [table.columns, *(row.cells for row in table.rows)]
    lines = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows]
    lines.insert(1, f"| {' | '.join(rule)} |")
    parts = [f"**{_plain(table.caption)}**" if table.caption else "", "\n".join(lines)]
    return "\n\n".join(filter(None, [*parts, *(_plain(line) for line in table.note.split("\n"))]))


def _plain(text: str) -> str:
    return " ".join(text.translate(_MARKDOWN).split())


def to_latex(tables: Sequence[Table]) -> str:
    """Tables in LaTeX with booktabs, each a `table` with its caption, and its note below the rules. They need
    \\usepackage{booktabs} and, where a text isn't English, a font that has its characters."""
    return "\n".join(["% \\usepackage[T1]{fontenc}", "% \\usepackage{booktabs}", *map(_latex, tables)]) + "\n"


def _latex(table: Table) -> str:
    num_columns = len(table.columns)
    columns = "l" * table.num_names + "r" * (num_columns - table.num_names)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            *([rf"  \caption{{{_escaped(table.caption)}}}"] if table.caption else []),
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            _latex_row(table.columns),
            r"    \midrule",
            *(_latex_row(row.cells) for row in table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(rf"  \par\footnotesize {_escaped(line)}" for line in table.note.split("\n") if line),
            r"\end{table}",
        ]
    )


def _latex_row(cells: Sequence[str]) -> str:
    return f"    {' & '.join(map(_escaped, cells))} \\\\"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
