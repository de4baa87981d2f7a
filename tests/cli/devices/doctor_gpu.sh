# What doctor says of cards and of NVIDIA's libraries, by small libraries under
# their names.
fakes=$(dirname "$(readlink -f "$(command -v ensembed)")")/fake_nvidia
[ -d "$fakes" ] || {
    echo "skip: no fake libraries beside this program"
    exit 77
}
doctor() { # DRIVER ARGUMENT...
    driver=$1
    shift
    echo "-- $driver $*" | sed "s|$fakes/||g"
    LD_LIBRARY_PATH=$fakes/$driver ensembed doctor "$@" |
        sed "1,/^model cache/d;s|$fakes|F|g"
}
doctor driver12 --cuda-libs "$fakes/pip12"
doctor driver13 --cuda-libs "$fakes/pip12" --cuda-libs "$fakes/pip13"
doctor driver12 --cuda-libs "$fakes/pip13"
doctor driver13 --cuda-libs "$fakes/lacking"
doctor driver11
doctor driver_bare
doctor driver_dead
ENSEMBED_CUDA_LIBS=$fakes/pip12 LD_LIBRARY_PATH=$fakes/driver12 \
    ensembed doctor --json >doctor.json
python3 - "$fakes" <<'END'
import json, sys
gpu = json.load(open("doctor.json"))["gpu"]
print(json.dumps(gpu, indent=1).replace(sys.argv[1], "F"))
END
