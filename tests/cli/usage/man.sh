# The man page is clean for groff, and shows options as they are typed.
ensembed help --man >page.1
if ! command -v groff >/dev/null; then
    grep -q '^\.TH ENSEMBED 1' page.1
    echo fine
    exit 0
fi
groff -man -Tascii -ww -z page.1
groff -man -Tascii -P-cbou page.1 >page
grep -q -- '--trim-chars N' page
grep -q -- '--no-progress' page
grep -q 'EXIT STATUS' page
grep -q 'ENSEMBED_TEXT_FIELD' page
echo fine
