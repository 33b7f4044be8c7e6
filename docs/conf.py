"""Sphinx configuration: pages in Markdown, tutorials executed at build time, API pages from docstrings."""

import os
import re

import physics

os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "physneuro"
author = "The physneuro developers"
copyright = "2026, the physneuro developers"
release = version = physics.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "benchmarks/*-table.md", "**.ipynb_checkpoints", "jupyter_execute"]
nitpicky = False
default_role = "literal"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "groupwise"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Source", "notes_style")]

html_theme = "furo"
html_title = "physneuro"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def dollars_to_math(app, what, name, obj, options, lines):  # noqa: ARG001
    """Turn the dollar mathematics of docstrings into what reStructuredText understands."""
    # A bar in running text would begin a substitution; in mathematics and code it stays.
    kept_or_bar = re.compile(r"\$\$.+?\$\$|\$[^$]+\$|`[^`]*`|\|", re.DOTALL)
    text = kept_or_bar.sub(lambda match: r"\|" if match.group() == "|" else match.group(), "\n".join(lines))

    def display(match):
        indent = match.group(1)
        body = (f"{indent}   {line.strip()}" for line in match.group(2).strip().splitlines())
        return f"\n{indent}.. math::\n\n" + "\n".join(body) + "\n"

    text = re.sub(r"^([ \t]*)\$\$(.+?)\$\$", display, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?<!\\)\$([^$]+?)\$", lambda match: f":math:`{' '.join(match.group(1).split())}`", text)
    lines[:] = text.splitlines()


def setup(app):
    """Run before napoleon rewrites the sections."""
    app.connect("autodoc-process-docstring", dollars_to_math, priority=400)
