# bash takes the script and completes commands, options and choices.
ensembed help --completion bash >ensembed.bash
cat >try.bash <<'END'
source ./ensembed.bash
complete_line() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _ensembed
    echo "${COMPREPLY[*]}"
}
complete_line ensembed se
complete_line ensembed run --re
complete_line ensembed run --no
complete_line ensembed search --tex
complete_line ensembed run --isa a
complete_line ensembed help --completion ''
END
bash try.bash
if command -v zsh >/dev/null; then
    ensembed help --completion zsh >_ensembed
    zsh -n _ensembed
fi
if command -v fish >/dev/null; then
    ensembed help --completion fish >ensembed.fish
    fish -n ensembed.fish
fi
