# A collection that was renamed, removed or emptied leaves its folder in the
# output: nothing is deleted, and both the run and a search say so.
go() { # CHUNKS ARGUMENTS...
    status=0
    ensembed run "$@" --model "$MODELS/mean" --out o --quiet 2>err || status=$?
    # Where we are is nobody's business.
    sed "s|$PWD/||g" err
    echo "-- status $status, $(tr -d ' \n' <o/summary.json | grep -o '"earlier":\[[^]]*\]' | grep -o '"collection":"[^"]*"' | tr '\n' ' ')"
}
asks() {
    ensembed search o one --json "$@" 2>err | tr -d ' \n' | grep -o '"earlier":\[[^]]*\]'
    sed "s|$PWD/||g" err
}
chunk() { # FILE TEXT
    mkdir -p "${1%/*}"
    echo "[{\"text\":\"$2\"}]" >"$1"
}
chunk c/a/x_chunks.json one
chunk c/b/x_chunks.json two
chunk c/d/x_chunks.json three
echo "several runs on purpose"
go c --collection a
go c --collection b
go c
chunk elsewhere/e/x_chunks.json four
go elsewhere
cp c/a/x_chunks.json single.json
go single.json
go c/a
go single.json --as named
rm c/d/x_chunks.json
go - --as piped <single.json
asks --collection a

echo "renamed, emptied"
mv c/a c/z
go c
grep -c "o/a is of an earlier run" o/report.html
asks
asks --collection z
go c --collection z
echo "a file and a folder of one collection"
mv single.json other.json
go other.json
mv elsewhere/e elsewhere/f
go elsewhere/f
echo "there again"
mv c/z c/a
go c/a
chunk c/d/x_chunks.json three
go c --collection b
asks
rm c/d/x_chunks.json
go c --collection b
echo "a file that is not looked for in a folder"
echo '{"text": "six"}' >c/notes.txt
go c/notes.txt
go c --collection b
echo "a file beside the folders: all is one collection now"
chunk c/y_chunks.json five
go c
echo "and they are collections again"
rm c/y_chunks.json
go c
[ -e o/d/embeddings.npy ] && [ -e o/z/embeddings.npy ]
