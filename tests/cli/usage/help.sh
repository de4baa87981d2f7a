# Every command and every option of the table is in its command's help, and no
# line of its text is wider than a terminal.
absent() {
    if grep -n "$@"; then
        exit 1
    fi
}
ensembed --help >overview
ensembed help >same
cmp overview same
absent -E '^.{81}' overview
for command in run embed tokenize plan search models doctor bench help; do
    grep -q "^  $command " overview
    ensembed $command --help >one
    ensembed help $command >same
    cmp one same
    grep -q "^usage: ensembed $command" one
    grep -q -- "--help" one
    sed '/^example:/,$d' one >text
    absent -E '^.{81}' text
done
ensembed help run >run
tr -s ' \n' '  ' <run >flat
grep -q -- '--export LIST.*npy, points, texts, metadata' flat
ensembed help search >search
grep -q -- '-k, --top N' search
absent -- --restart search
echo fine
