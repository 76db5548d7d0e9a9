"""The file that the launcher of a Flex template starts, and the variables that tell it so.

The launcher runs ``python FILE --runner=DataflowRunner ... --window=1m``. What is defined in a file
that is run is pickled as ``__main__``'s, which no worker has: so the file only calls the pipeline's
module by its name. It lies in a folder of its own, because Python looks for modules beside the
file that it runs before anywhere else; beside ``pipelines/pubsub_to_lake.py`` it would find
``params`` and ``source`` there.
"""

from __future__ import annotations

from templates.catalogue import Template

__all__ = ["FOLDER", "entry", "file_name", "variables"]

FOLDER = "/template"
"""Where the files lie in the image."""

_TEXT = '''"""Launch {title}: what Dataflow's launcher runs."""

from pipelines.launch import main

if __name__ == "__main__":
    main("pipelines.{name}")
'''


def file_name(template: Template) -> str:
    """Return the name of a template's file."""
    return f"{template.name}.py"


def entry(template: Template) -> str:
    """Return the text of a template's file."""
    return _TEXT.format(name=template.name, title=template.title)


def variables(template: Template, folder: str = FOLDER) -> dict[str, str]:
    """Return the environment that the launcher finds in a template's image.

    ``FLEX_TEMPLATE_PYTHON_REQUIREMENTS_FILE``, ``_SETUP_FILE`` and ``_EXTRA_PACKAGES`` are not
    set: launcher and workers start from the same image, in which everything is installed, and
    nothing is fetched or staged at a launch.
    """
    return {"FLEX_TEMPLATE_PYTHON_PY_FILE": f"{folder}/{file_name(template)}"}
