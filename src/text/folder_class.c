/* folder_class.c - see folder_class.h. The order of the questions is that of
 * transformers 5.23, AutoTokenizer.from_pretrained. */

#include "text/folder_class.h"

#include <string.h>

static const struct class_info classes[] = {
    {"TokenizersBackend", CLASS_BACKEND, MODEL_ANY, NULL, NULL, false},
    {"BertTokenizer", CLASS_BERT, MODEL_WORDPIECE, "vocab.txt", NULL, true},
    {"DistilBertTokenizer", CLASS_BERT, MODEL_WORDPIECE, "vocab.txt", NULL,
     false},
    {"MPNetTokenizer", CLASS_MPNET, MODEL_WORDPIECE, "vocab.txt", NULL, false},
    {"RobertaTokenizer", CLASS_ROBERTA, MODEL_BPE, "vocab.json", "merges.txt",
     false},
    {"GPT2Tokenizer", CLASS_GPT2, MODEL_BPE, "vocab.json", "merges.txt", false},
    {"Qwen2Tokenizer", CLASS_QWEN2, MODEL_BPE, "vocab.json", "merges.txt",
     false},
    {"XLMRobertaTokenizer", CLASS_XLM_ROBERTA, MODEL_UNIGRAM,
     "sentencepiece.bpe.model", NULL, false},
    {"CamembertTokenizer", CLASS_CAMEMBERT, MODEL_UNIGRAM,
     "sentencepiece.bpe.model", NULL, false},
    {"AlbertTokenizer", CLASS_ALBERT, MODEL_UNIGRAM, "spiece.model", NULL,
     false},
    {"DebertaV2Tokenizer", CLASS_DEBERTA_V2, MODEL_UNIGRAM, "spm.model", NULL,
     true},
    {"T5Tokenizer", CLASS_T5, MODEL_UNIGRAM, "spiece.model", NULL, false},
    {"LlamaTokenizer", CLASS_LLAMA, MODEL_BPE, "tokenizer.model", NULL, false},
    {"GemmaTokenizer", CLASS_GEMMA, MODEL_BPE, NULL, NULL, false},
};

/* Other names of the same classes. */
static const char *const aliases[][2] = {
    {"ElectraTokenizer", "BertTokenizer"},
    {"LayoutLMTokenizer", "BertTokenizer"},
    {"LxmertTokenizer", "BertTokenizer"},
    {"MobileBertTokenizer", "BertTokenizer"},
    {"SqueezeBertTokenizer", "BertTokenizer"},
    {"BartTokenizer", "RobertaTokenizer"},
    {"LEDTokenizer", "RobertaTokenizer"},
    {"LongformerTokenizer", "RobertaTokenizer"},
    {"MvpTokenizer", "RobertaTokenizer"},
    {"Phi3Tokenizer", "LlamaTokenizer"},
};

/* Classes that transformers has and we do not: any other name is none to it
 * either, and it takes tokenizer.json as it stands. */
static const char *const others[] = {
    "BarthezTokenizer",
    "BartphoTokenizer",
    "BertGenerationTokenizer",
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "BigBirdTokenizer",
    "BioGptTokenizer",
    "BlenderbotSmallTokenizer",
    "BlenderbotTokenizer",
    "ByT5Tokenizer",
    "CLIPTokenizer",
    "CTRLTokenizer",
    "CanineTokenizer",
    "CharacterTokenizer",
    "ClvpTokenizer",
    "CodeGenTokenizer",
    "CodeLlamaTokenizer",
    "CohereTokenizer",
    "ConvBertTokenizer",
    "CpmAntTokenizer",
    "CpmTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "DebertaTokenizer",
    "DiaTokenizer",
    "EsmTokenizer",
    "EsmcTokenizer",
    "FNetTokenizer",
    "FSMTTokenizer",
    "FastSpeech2ConformerTokenizer",
    "FlaubertTokenizer",
    "FunnelTokenizer",
    "GPTNeoXJapaneseTokenizer",
    "GPTNeoXTokenizer",
    "GPTSw3Tokenizer",
    "HerbertTokenizer",
    "LasrTokenizer",
    "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer",
    "LayoutXLMTokenizer",
    "LukeTokenizer",
    "M2M100Tokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "MLukeTokenizer",
    "MarianTokenizer",
    "MarkupLMTokenizer",
    "MgpstrTokenizer",
    "MyT5Tokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "PLBartTokenizer",
    "ParakeetTokenizer",
    "PegasusTokenizer",
    "PerceiverTokenizer",
    "PhobertTokenizer",
    "Pop2PianoTokenizer",
    "ProphetNetTokenizer",
    "Qwen3_5Tokenizer",
    "RagTokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RoCBertTokenizer",
    "RoFormerTokenizer",
    "SeamlessM4TTokenizer",
    "Siglip2Tokenizer",
    "SiglipTokenizer",
    "Speech2TextTokenizer",
    "SpeechT5Tokenizer",
    "SplinterTokenizer",
    "TapasTokenizer",
    "Tipsv2Tokenizer",
    "UdopTokenizer",
    "VideoPrismTokenizer",
    "VitsTokenizer",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLMTokenizer",
    "XLNetTokenizer",
};

/* TOKENIZER_MAPPING_NAMES, as far as models with text vectors go. */
static const char *const registered[][2] = {
    {"albert", "AlbertTokenizer"},
    {"bart", "RobertaTokenizer"},
    {"bert", "BertTokenizer"},
    {"big_bird", "BigBirdTokenizer"},
    {"camembert", "CamembertTokenizer"},
    {"camembertv2-base", "TokenizersBackend"},
    {"convbert", "BertTokenizer"},
    {"deberta", "DebertaTokenizer"},
    {"deberta-v2", "DebertaV2Tokenizer"},
    {"distilbert", "BertTokenizer"},
    {"electra", "BertTokenizer"},
    {"ernie", "BertTokenizer"},
    {"funnel", "FunnelTokenizer"},
    {"gemma", "GemmaTokenizer"},
    {"gemma2", "GemmaTokenizer"},
    {"gemma3", "GemmaTokenizer"},
    {"gemma3_text", "GemmaTokenizer"},
    {"gpt2", "GPT2Tokenizer"},
    {"gpt_neo", "GPT2Tokenizer"},
    {"gte", "XLMRobertaTokenizer"},
    {"jina_embeddings_v3", "XLMRobertaTokenizer"},
    {"longformer", "RobertaTokenizer"},
    {"megatron-bert", "BertTokenizer"},
    {"mistral", "TokenizersBackend"},
    {"mixtral", "TokenizersBackend"},
    {"mobilebert", "MobileBertTokenizer"},
    {"modernbert", "TokenizersBackend"},
    {"modernbert-decoder", "TokenizersBackend"},
    {"mpnet", "MPNetTokenizer"},
    {"mt5", "T5Tokenizer"},
    {"nezha", "BertTokenizer"},
    {"nomic_bert", "BertTokenizer"},
    {"phi3", "TokenizersBackend"},
    {"qwen2", "Qwen2Tokenizer"},
    {"qwen2_5_vl", "Qwen2Tokenizer"},
    {"qwen2_vl", "Qwen2Tokenizer"},
    {"qwen3", "Qwen2Tokenizer"},
    {"qwen3_vl", "Qwen2Tokenizer"},
    {"roberta", "RobertaTokenizer"},
    {"roberta-prelayernorm", "RobertaTokenizer"},
    {"roformer", "RoFormerTokenizer"},
    {"squeezebert", "BertTokenizer"},
    {"t5", "T5Tokenizer"},
    {"umt5", "TokenizersBackend"},
    {"xlm-roberta", "XLMRobertaTokenizer"},
    {"xlm-roberta-xl", "TokenizersBackend"},
    {"xlnet", "XLNetTokenizer"},
    {"xmod", "XLMRobertaTokenizer"},
};

/* MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS: the class that a folder names is
 * not believed. */
static const char *const distrusted[] = {
    "camembertv2-base", "modernbert", "modernbert-decoder", "phi3", "qwen2",
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static bool is_among(const char *word, const char *const *list, size_t count) {
    for (size_t i = 0; word && i < count; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

static const char *second_of(const char *word, const char *const list[][2],
                             size_t count) {
    for (size_t i = 0; word && i < count; i++)
        if (strcmp(list[i][0], word) == 0)
            return list[i][1];
    return NULL;
}

/* Class names with and without "Fast" at the end are the same. */
static size_t bare_size(const char *name) {
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, "Fast") == 0 ? size - 4 : size;
}

static bool same_class(const char *a, const char *b) {
    return bare_size(a) == bare_size(b) && strncmp(a, b, bare_size(a)) == 0;
}

/* NULL and no error: it is none to transformers either. */
static const struct class_info *class_named(const char *name,
                                            const char *folder,
                                            struct error *err, bool *refused) {
    *refused = false;
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (same_class(name, aliases[i][0]))
            name = aliases[i][1];
    for (size_t i = 0; i < COUNT(classes); i++)
        if (same_class(name, classes[i].name))
            return &classes[i];
    for (size_t i = 0; i < COUNT(others); i++)
        if (same_class(name, others[i]))
            *refused = !error_set(err, ERROR_UNSUPPORTED,
                                  "%s: its tokenizer class %s is not supported "
                                  "(docs/tokenizers.md lists those that are): "
                                  "use another model",
                                  folder, others[i]);
    return NULL;
}

/* The class of that name, TokenizersBackend if there is none. */
static const struct class_info *take(const char *name, const char *folder,
                                     struct error *err) {
    bool refused;
    const struct class_info *found = class_named(name, folder, err, &refused);
    return found || refused ? found : &classes[0];
}

/* The code of a repository's own is not run; transformers has a class of its
 * own instead where it knows the model or the class. */
static bool check_auto_map(const struct tokenizer_folder *folder,
                           const json_t *settings, const char *named,
                           bool *mapped, struct error *err) {
    const json_t *map = json_object_get(settings, "auto_map");
    const json_t *own =
        json_is_object(map) ? json_object_get(map, "AutoTokenizer") : map;
    bool refused;
    *mapped = own && !json_is_null(own);
    if (!*mapped ||
        second_of(folder->model_type, registered, COUNT(registered)) ||
        (named && class_named(named, folder->path, NULL, &refused)))
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: tokenizer_config.json has its tokenizer made by the "
                     "repository's own code (\"auto_map\"), which is not run: "
                     "use another model",
                     folder->path);
}

const struct class_info *class_of(const struct tokenizer_folder *folder,
                                  const json_t *settings, bool byte_level,
                                  struct error *err) {
    const char *given =
        json_string_value(json_object_get(settings, "tokenizer_class"));
    const char *named = given ? given : folder->tokenizer_class;
    const char *own =
        second_of(folder->model_type, registered, COUNT(registered));
    bool mapped,
        trusted = !is_among(folder->model_type, distrusted, COUNT(distrusted));
    if (!check_auto_map(folder, settings, given, &mapped, err))
        return NULL;
    if (!mapped && named && trusted && byte_level &&
        same_class(named, "LlamaTokenizer"))
        return &classes[0];
    if (!mapped && named && own && !same_class(own, named)) {
        if (strcmp(own, "TokenizersBackend") == 0)
            return &classes[0];
        return take(trusted ? named : own, folder->path, err);
    }
    if (named)
        return take(named, folder->path, err);
    return take(own ? own : "TokenizersBackend", folder->path, err);
}
