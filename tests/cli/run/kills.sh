# heavy: kill at random moments, go on, compare every byte
exec "$ROOT/tests/campaigns/kills" ensembed "$MODELS" 18
