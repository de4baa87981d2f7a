# An include that goes up, sideways or out by ".." is found.
mkdir -p src/base src/hub src/text src/cli
echo '#include "base/str.h"' >src/hub/a.c
echo '#  include "text/tokenizer.h"' >src/hub/b.c
echo '#include "run/plan.h"' >src/base/c.h
echo '#include "../hub/x.h"' >src/text/d.c
echo '#include "run/plan.h"' >src/cli/e.c
echo '#include "ensembed.h"' >src/text/f.c
python3 "$ROOT/tools/check_layers" .
