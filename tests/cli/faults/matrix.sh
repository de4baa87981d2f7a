# heavy: every fault in every mode, and killed and gone on; docs/faults.md says
# what was seen.
python3 "$ROOT/tests/campaigns/faults" "$(command -v ensembed)" "$ROOT" || exit 1
