from __future__ import annotations

import itertools

import matplotlib as mpl
import pandas as pd
import pytest

from course_lib import plots

mpl.use("Agg")


@pytest.fixture
def series():
    weeks = pd.date_range("2013-02-04", periods=4, freq="W-MON")
    return {name: pd.Series([0.6, 0.7, low, 0.65], index=weeks) for name, low in (("frozen", 0.5), ("new", 0.6))}


def grey(colour):
    """Luminance as a grey printer sees it, 0 to 1."""
    red, green, blue = mpl.colors.to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_lines_are_labelled_with_what_they_show(series):
    (axes,) = plots.lines(series, xlabel="week", ylabel="AUC (0.5–1)", title="Decay").axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("week", "AUC (0.5–1)", "Decay")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["frozen", "new"]


def test_two_lines_differ_in_more_than_colour(series):
    (axes,) = plots.lines(series, xlabel="week", ylabel="AUC", title="Decay").axes
    one, two = axes.lines
    assert one.get_linestyle() != two.get_linestyle()
    assert one.get_marker() != two.get_marker()


def test_neighbouring_colours_differ_in_grey():
    shades = [grey(colour) for colour in plots.COLOURS[:4]]
    assert all(abs(one - two) > 0.1 for one, two in itertools.pairwise(shades))


def test_each_event_is_a_vertical_line(series):
    weeks = next(iter(series.values())).index
    with_events = plots.lines(series, xlabel="week", ylabel="AUC", title="Decay", events=list(weeks[1:3])).axes[0]
    assert len(with_events.lines) == len(series) + 2


def test_a_figure_is_shown_once_because_it_is_closed(series):
    import matplotlib.pyplot as plt

    plots.lines(series, xlabel="week", ylabel="AUC", title="Decay")
    assert plt.get_fignums() == []


def test_the_house_style_ends_with_its_block():
    before = mpl.rcParams["font.size"], mpl.rcParams["axes.grid"]
    with plots.style(width=3, height=2):
        assert list(mpl.rcParams["figure.figsize"]) == [3, 2]
        assert mpl.rcParams["axes.grid"] is True
    assert (mpl.rcParams["font.size"], mpl.rcParams["axes.grid"]) == before


def test_a_calibration_figure_shows_the_perfect_line_and_all_groups():
    table = pd.DataFrame({"predicted": [0.1, 0.3, 0.5], "observed": [0.15, 0.25, 0.6], "rows": [9, 9, 9]})
    (axes,) = plots.calibration({"model": table}, title="April").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["perfect", "model"]
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_ylim()[1] > 0.6


def test_the_alternative_text_names_what_is_drawn_and_in_which_units(series):
    figure = plots.lines(series, xlabel="week", ylabel="AUC (0.5–1)", title="Decay of 2013.")
    assert plots.alt_text(figure) == "Figure. Decay of 2013. Across: week. Up: AUC (0.5–1). Shown: frozen, new."


def test_a_notebook_shows_every_figure_with_its_alternative_text():
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "import pandas as pd\nfrom course_lib import plots",
        "points = pd.Series([1.0, 2.0])\n"
        "plots.lines({'<fast>': points}, xlabel='hour', ylabel='flights', title='Rush')",
        "plots.lines({'slow': points}, xlabel='hour', ylabel='flights', title='Night')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    shown = [cell.outputs[-1].data for cell in notebook.cells[1:]]

    assert [set(one) for one in shown] == [{"text/html", "text/plain"}] * 2
    assert 'alt="Figure. Rush. Across: hour. Up: flights. Shown: &lt;fast&gt;."' in shown[0]["text/html"]
    assert 'src="data:image/png;base64,' in shown[1]["text/html"]
