"""`dlkeras completion`: what a shell needs to complete the command and its flags."""

import argparse
from collections.abc import Mapping, Sequence

from dlkeras.pipeline.commands import command_modules
from dlkeras.pipeline.commands.arguments import add_places

HELP = "print what your shell needs to complete dlkeras"

BASH = """_dlkeras() {{
  local here="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    case "$here" in -*) ;; *) words="" ;; esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$here"))
}}
complete -o default -F _dlkeras dlkeras
"""
# zsh runs what bash does.
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"),
                        help="bash, zsh or fish; in bash: eval "
                        '"$(dlkeras completion bash)"')  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the lines."""
    found = commands_and_flags()
    if options.shell == "fish":
        print(_fish(found), end="")
        return 0
    cases = "\n".join(
        f'      {name}) words="{" ".join(flags)}" ;;'
        for name, (_, flags) in found.items()
    )
    text = BASH.format(commands=" ".join(found), cases=cases)
    print((ZSH if options.shell == "zsh" else "") + text, end="")
    return 0


def commands_and_flags() -> dict[str, tuple[str, tuple[str, ...]]]:
    """For each command what it does, and its flags.

    >>> commands_and_flags()["rollback"][1]
    ('-h', '--help', '--mlruns', '--tracking-uri', '--alias', '--to')
    """
    found = {}
    for name, module in command_modules().items():
        parser = argparse.ArgumentParser()
        add_places(parser)
        module.add_arguments(parser)
        flags = [flag for action in parser._actions for flag in action.option_strings]
        found[name] = module.HELP, tuple(flags)
    return found


def _fish(found: Mapping[str, tuple[str, Sequence[str]]]) -> str:
    lines = []
    for name, (words, flags) in found.items():
        said = words.replace("'", "\\'")
        lines.append(
            f"complete -c dlkeras -n __fish_use_subcommand -f -a {name} -d '{said}'"
        )
        lines += [
            f"complete -c dlkeras -n '__fish_seen_subcommand_from {name}' "
            f"-l {flag.removeprefix('--')}"
            for flag in flags
            if flag.startswith("--")
        ]
    return "\n".join(lines) + "\n"
