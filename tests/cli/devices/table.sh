mkdir locks
echo '{"pid": 4711, "model": "bge-m3"}' >locks/sim:t4-1.lock
flock locks/sim:t4-1.lock ensembed devices --device sim:t4x2,sim:small=64MiB,cpu \
    --lock-dir locks --ceiling sim:t4-1=8GiB --margin sim:t4-0=1GiB
ls locks # looking at leases leaves nothing behind
