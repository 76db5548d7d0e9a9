"""Words of a script: as a shell has them, with references for its variables."""

import subprocess
from pathlib import Path

import pytest

from pipelines.params import ConfigError
from templates.google.shell_words import commands

SCRIPTS = [
    "cmd a b  c",
    "cmd 'a b' \"c d\" e\\ f",
    "cmd a\\\n  b # comment",
    "cmd --x='a,b=\"c\"' # 'open",
    "X=1 Y='2 3'\ncmd $X \"$Y\" '$X' \\$X",
    'export A="a b"\ncmd "x${A}y"\'z\'"$A"',
    'cmd "a\\"b" \'\' "" "\\n" "ü"',
    "cmd a#b 'a'#b ^~^a=1,2~b=3",
    'cmd "line one\nline two" after',
    "cmd 100% a$ '$' \"$\"",
    "cmd --x \\\na=1,\\\nb=2 c\\\n d",
    "cmd a\\\n#b \\\n#comment\\\ntrue",
    "cmd \"a\\\nb \\\\\nc\" 'a\\\nb' a\\\\\ntrue",
    'LONG=1 L=2\ncmd $LO\\\nNG "$LO\\\nNG" $\\\nL a\\\n\'b\'\\\n"c"',
]


def words(script: str) -> list[str]:
    [found] = [each for each in commands(script, Path("f.sh")) if each[0].text == "cmd"]
    return [word.text for word in found[1:]]


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_are_those_of_a_shell(script: str) -> None:
    """Asked: a function in the place of the command prints what it got."""
    program = 'cmd() { for each in "$@"; do printf \'%s\\0\' "$each"; done; }\n' + script + "\n"
    # A variable within a word counts as quoted: gcloud would not see it split.
    shell = subprocess.run(["/bin/sh", "-c", program], capture_output=True, text=True, check=True)
    assert words(script) == shell.stdout.split("\0")[:-1]


def test_unknown_variables_become_references() -> None:
    """Of the environment, for whoever has them when the job is run; quoted ones are texts."""
    assert words('cmd "$A/x" ${B}c \'${A}\' "\\${A}" "\\$A"') == [
        "${env:A}/x", "${env:B}c", "$${A}", "$${A}", "$A",
    ]  # fmt: skip


def test_lines_are_those_on_which_words_begin() -> None:
    """Behind a backslash too."""
    [found] = commands("# head\n\ncmd a \\\n  'b\nc' \\\n  d\n", Path("f.sh"))
    assert [(word.text, word.line) for word in found] == [
        ("cmd", 3), ("a", 3), ("b\nc", 4), ("d", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "place", "rule"),
    [
        ("cmd\ncmd 'open", "f.sh:2", "open quote"),
        ('cmd "open', "f.sh:1", "open quote"),
        ("cmd a \\\n $(date", "f.sh:2", "not closed"),
        ("cmd `date", "f.sh:1", "not closed"),
        ('cmd "${A:-b"', "f.sh:1", "not closed"),
    ],
)
def test_what_is_not_read_is_refused(script: str, place: str, rule: str) -> None:
    """With the line on which it begins."""
    with pytest.raises(ConfigError) as caught:
        commands(script, Path("f.sh"))
    assert caught.value.name == place
    assert rule in caught.value.rule


@pytest.mark.parametrize(
    "word",
    ["$(date)", "`date`", '"a$(date "+%Y)")"', "${A:-b}", '"${A:-b c}"x', "$1", '"$@"', "$NOW",
     "$(a $(b (c)) ')')", "'a'\\\n$(date)"],
)  # fmt: skip
def test_what_would_be_computed_is_marked(word: str) -> None:
    """With its line; nothing is run, and the words around it are told apart."""
    script = f"NOW=$(date)\ncmd a \\\n {word} \\\n '$(date)' \\$\\("
    [[_, before, computed, quoted, escaped]] = commands(script, Path("f.sh"))
    assert computed.computed == 3 + word.count("\n")
    assert [each.computed for each in (before, quoted, escaped)] == [None] * 3
    assert (quoted.text, escaped.text) == ("$(date)", "$(")
