"""How notebooks draw their figures."""


def use_svg_display():
    """Have figures drawn as SVG: sharp at any size, with their text kept as text.

    The name is D2L's. On a phone the width of 5.5 inches shrinks to two thirds, where
    text of 10 points can still be read. For notebooks only, whose IPython brings
    `matplotlib_inline` along; it lasts as long as the notebook's kernel.
    """
    import warnings

    import matplotlib.pyplot as plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg", metadata={"Date": None})  # the same file each time
    of_svg = {"svg.fonttype": "none", "svg.hashsalt": "d2lrec"}
    plt.rcParams.update({"figure.figsize": (5.5, 3.4), **of_svg})
    # A browser has fonts of its own, with the letters of more languages.
    warnings.filterwarnings("ignore", "Glyph .* missing from font")
