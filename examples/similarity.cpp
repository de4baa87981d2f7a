// similarity.cpp - vectors of single texts from C++: how close are two of them?
//
//     c++ similarity.cpp $(pkg-config --cflags --libs ensembed) -o similarity
//     ./similarity MODEL TEXT OTHER...

#include <ensembed.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Destroy {
    void operator()(ens_embedder *e) const {
        ens_destroy(e);
    }
};

class Embedder {
  public:
    explicit Embedder(const char *reference) {
        ens_model model{};
        model.reference = reference;
        ens_config config;
        ens_config_init(&config);
        config.models = &model;
        config.models_count = 1;
        ens_error error;
        embedder.reset(ens_create(&config, &error));
        width = embedder ? ens_width(embedder.get(), &error) : 0;
        if (!width)
            throw std::runtime_error(error.message);
    }

    std::vector<float> embed(const char *text) {
        ens_error error;
        std::vector<float> vector(width);
        if (!ens_embed(embedder.get(), &text, 1, ENS_PLAIN, vector.data(),
                       &error))
            throw std::runtime_error(error.message);
        return vector;
    }

  private:
    std::unique_ptr<ens_embedder, Destroy> embedder;
    size_t width = 0;
};

double cosine(const std::vector<float> &a, const std::vector<float> &b) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); i++) {
        dot += double(a[i]) * b[i];
        aa += double(a[i]) * a[i];
        bb += double(b[i]) * b[i];
    }
    return dot / std::sqrt(aa * bb);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s MODEL TEXT OTHER...\n", argv[0]);
        return 2;
    }
    try {
        Embedder embedder(argv[1]);
        const auto first = embedder.embed(argv[2]);
        for (int i = 3; i < argc; i++)
            std::printf("%.4f %s\n", cosine(first, embedder.embed(argv[i])),
                        argv[i]);
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}
