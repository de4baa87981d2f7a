# heavy: random plans: never over a ceiling, what fits runs, refusals help.
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
python3 "$ROOT/tests/cli/memory/plans.py" "$MODELS" 40
