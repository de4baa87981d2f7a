# The instruction sets that doctor lists for a number type are those that --isa
# takes with it, and no others.
ensembed doctor --json >doctor.json
for type in f32 bf16 int8; do
    key=instruction_sets
    [ $type = f32 ] || key=${key}_$type
    listed=$(python3 -c 'import json, sys
print(*json.load(open("doctor.json"))[sys.argv[1]])' $key)
    case " $listed " in
    *" generic "*) ;;
    *) echo "$type: generic is not listed: $listed" ;;
    esac
    for isa in avx512+vnni+bf16 avx512+vnni avx512+bf16 avx512 avx2+vnni avx2 \
        generic; do
        taken=no
        ensembed embed --model "$MODELS/mean" --dtype $type --isa $isa x \
            >/dev/null 2>&1 && taken=yes
        case " $listed " in
        *" $isa "*) [ $taken = yes ] || echo "$type: $isa is listed and refused" ;;
        *) [ $taken = no ] || echo "$type: $isa is taken and not listed" ;;
        esac
    done
done
echo "compared"
