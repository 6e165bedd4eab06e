"""Scripts that have a shell complete the command line, made of its parser.

They are complete in themselves: to press the tabulator starts no program.
"""

import argparse
import shlex
from collections.abc import Callable

from entrepot.description import Argument, Described, described


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    makers: dict[str, Callable[[list[Described]], str]] = {
        "bash": _bash,
        "zsh": _zsh,
        "fish": _fish,
    }
    return makers[shell](described(parser))


_BASH = """\
# Completion of entrepot for bash: source <(entrepot completion bash)
_entrepot() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words= command= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in -*) ;; *) command=${{COMP_WORDS[i]}}; break ;; esac
    done
    case "$command/${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
    esac
    case $command in
        '') words={commands} ;;
{options}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    case $command in
        {takers}) [[ $word == -* ]] || COMPREPLY+=($(compgen -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _entrepot entrepot
"""


def _bash(commands: list[Described]) -> str:
    values, options = [], []
    for command in commands:
        options.append(f"        {command.name}) words={shlex.quote(_words(command))} ;;")
        for argument in command.arguments:
            if argument.flags and argument.metavar:
                kind = 'COMPREPLY=($(compgen -f -- "$word")); ' if argument.is_file else ""
                names = "|".join(f"{command.name}/{flag}" for flag in argument.flags)
                values.append(f"        {names}) {kind}return ;;")
    names = " ".join([*(command.name for command in commands), "--help", "--version"])
    takers = [command.name for command in commands if _takes_file(command)]
    return _BASH.format(
        values="\n".join(values),
        commands=shlex.quote(names),
        options="\n".join(options),
        takers="|".join(takers),
    )


def _words(command: Described) -> str:
    found: list[str] = []
    for argument in command.arguments:
        found += argument.flags or argument.choices
    return " ".join(found)


def _takes_file(command: Described) -> bool:
    return any(argument.is_file and not argument.flags for argument in command.arguments)


_ZSH = """\
#compdef entrepot
# Completion of entrepot for zsh: entrepot completion zsh > "${{fpath[1]}}/_entrepot"
_entrepot() {{
    local context state state_descr line
    typeset -A opt_args
    _arguments -C '(- *)--help[show help]' '(- *)--version[tell the version]' \\
        '1: :->command' '*:: :->arguments'
    case $state in
        command)
            local -a commands=(
{commands}
            )
            _describe command commands ;;
        arguments)
            case $words[1] in
{arguments}
            esac ;;
    esac
}}
compdef _entrepot entrepot
"""


def _zsh(commands: list[Described]) -> str:
    listed = [
        f"                {shlex.quote(f'{command.name}:{command.purpose}')}"
        for command in commands
    ]
    cases = []
    for command in commands:
        specs = [spec for argument in command.arguments for spec in _zsh_specs(argument)]
        joined = " \\\n                    ".join(specs)
        cases.append(
            f"                {command.name}) _arguments \\\n                    {joined} ;;"
        )
    return _ZSH.format(commands="\n".join(listed), arguments="\n".join(cases))


def _zsh_specs(argument: Argument) -> list[str]:
    purpose = argument.purpose.replace("[", "(").replace("]", ")").replace(":", " -")
    kind = "_files" if argument.is_file else f"({' '.join(argument.choices)})"
    value = f":{argument.metavar.replace(':', ' ')}:{kind if kind != '()' else ' '}"
    if not argument.flags:
        return [shlex.quote(f"*{value}")]
    return [
        shlex.quote(f"{flag}[{purpose}]{value if argument.metavar else ''}")
        for flag in argument.flags
    ]


def _fish(commands: list[Described]) -> str:
    lines = [
        "# Completion of entrepot for fish:",
        "# entrepot completion fish > ~/.config/fish/completions/entrepot.fish",
        "complete -c entrepot -f",
        "complete -c entrepot -l help -d 'show help'",
    ]
    for command in commands:
        purpose = shlex.quote(command.purpose)
        lines.append(
            f"complete -c entrepot -n __fish_use_subcommand -a {command.name} -d {purpose}"
        )
        lines += [_fish_argument(command.name, argument) for argument in command.arguments]
    return "\n".join(lines) + "\n"


def _fish_argument(command: str, argument: Argument) -> str:
    words = ["complete", "-c", "entrepot", "-n", f"'__fish_seen_subcommand_from {command}'"]
    for flag in argument.flags:
        words += ["-l", flag[2:]] if flag.startswith("--") else ["-s", flag[1:]]
    if argument.flags and argument.metavar:
        words.append("-r")
    if argument.is_file:
        words.append("-F")
    elif argument.choices:
        words += ["-a", shlex.quote(" ".join(argument.choices))]
    return " ".join([*words, "-d", shlex.quote(argument.purpose)])
