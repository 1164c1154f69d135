"""Parts of a page that the reader can play with, in the rendered book."""

import json


def widget(name, content):
    """Put numbers into the page for the book's script, as HTML for IPython to show.

    `name` is the class that the script looks for, `content` what JSON can hold.
    """
    from IPython.display import HTML  # where there is a notebook, there is IPython

    packed = json.dumps(content, separators=(",", ":")).replace("<", r"\u003c")
    return HTML(
        f'<div class="widget {name}"><p>This part works in the rendered book, whose '
        "script reads the numbers of this cell. Jupyter and Colab do not run it.</p>"
        f'<script type="application/json">{packed}</script></div>'
    )
