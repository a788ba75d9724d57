#!/bin/sh
# Writes what completes a command of ours on TAB: sh completions.sh PROGRAM FOLDER
# The lines are Typer's own, as `PROGRAM --show-completion` has them; here they lie where each shell looks by itself.
set -eu
program=$1 folder=$2 name=${1##*/}
asks=_$(printf %s "$name" | tr a-z- A-Z_)_COMPLETE
put() {
    mkdir -p "$folder/${1%/*}"
    env "$asks=source_$2" "$program" | sed '/./,$!d' >"$folder/$1" # zsh wants its #compdef in the first line
    [ -s "$folder/$1" ] || { echo "packages: $program says nothing of completion for $2" >&2; exit 1; }
}
put "bash-completion/completions/$name" bash
put "zsh/vendor-completions/_$name" zsh
put "fish/vendor_completions.d/$name.fish" fish
# zsh loads the file at the first TAB, and wants an answer to that one, too.
printf '_%s_completion "$@"\n' "$(printf %s "$name" | tr - _)" >>"$folder/zsh/vendor-completions/_$name"
