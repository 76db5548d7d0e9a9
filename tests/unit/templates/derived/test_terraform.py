"""The Terraform modules, as far as can be told without the provider."""

import re
import shutil
import subprocess

import pytest

from templates.catalogue import TEMPLATES, Template, find
from templates.derived.generate import FOLDER
from templates.derived.terraform import main_tf, variables_tf

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="terraform is not installed"
)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_each_parameter_is_a_variable_and_is_passed_on(template: Template) -> None:
    """Nothing is declared that the job does not get, and nothing used that is not declared."""
    declared = re.findall(r'^variable "(\w+)" \{$', variables_tf(template), re.MULTILINE)
    assert len(set(declared)) == len(declared)
    assert {spec.name for spec in template.parameters} < set(declared)
    assert set(re.findall(r"var\.(\w+)", main_tf(template))) == set(declared)


def test_variables_have_the_types_of_their_parameters() -> None:
    """Lists, numbers and booleans are typed; what is required has no default."""
    text = variables_tf(find("pubsub_to_lake"))
    blocks = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}$', text, re.MULTILINE | re.DOTALL))
    assert "= list(string)" in blocks["dedup_by"]
    assert "= number" in blocks["shards"]
    assert "= bool" in blocks["add_columns"]
    assert "default" not in blocks["output"]
    assert "default" in blocks["window"]
    assert 'can(regex("^gs://' in blocks["output"]
    assert "var.window == null ||" in blocks["window"]


def test_a_brace_is_no_template_of_terraform() -> None:
    """``%{`` and ``${`` begin an expression in a text; ours are doubled."""
    for template in TEMPLATES:
        assert not re.search(r"(?<![$%])[$%]\{", variables_tf(template))


@needs_terraform
def test_modules_are_formatted() -> None:
    """Terraform itself reads them, and has them as ``terraform fmt`` would."""
    command = ["terraform", "fmt", "-check", "-recursive", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
