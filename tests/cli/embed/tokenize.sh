# What a model sees of texts, from arguments and from standard input: ids and
# tokens are those that tokenizers gives (Tokenizer.from_file, without padding),
# and of 300 tokens 254 are over the limit of 48, two of which are special.
ensembed tokenize --model "$MODELS/mean" "Hello, World"
{
    echo '"the quick brown fox"'
    echo '{"text": "a lazy dog 12345"}'
    echo "\"$(printf 'fox %.0s' $(seq 100))\""
} | ensembed tokenize --model "$MODELS/mean" | sed 's/\(", "f", "##o", "##x"\).*"##x", "f", /\1, ... /; s/\[\(2, 52, 156, 165\), 52.*\(52, 3\)/[\1, ... \2/'
echo 17 | ensembed tokenize --model "$MODELS/mean" 2>&1 || echo "exit status $?"
