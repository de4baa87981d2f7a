# cmake -DFOLDER=... -DOUT=... -P embed.cmake: kernel files of FOLDER as a C
# file. Each text is what NVRTC is to read at once: prelude.cu, params.h,
# activate.h, turn.h, numbers.h, norm.h and the file, each under its own name in
# NVRTC's messages.
file(GLOB kernels RELATIVE ${FOLDER} ${FOLDER}/*.cu)
list(REMOVE_ITEM kernels prelude.cu)
list(SORT kernels)

set(arrays "")
set(rows "")
foreach(kernel IN LISTS kernels)
  get_filename_component(name ${kernel} NAME_WE)
  set(numbers "")
  foreach(part prelude.cu params.h activate.h turn.h numbers.h norm.h
          ${kernel})
    string(HEX "#line 1 \"${part}\"\n" line)
    file(READ ${FOLDER}/${part} text HEX)
    string(APPEND numbers ${line} ${text} 0a)
  endforeach()
  string(REGEX REPLACE "(................................)" "\\1\n" numbers
         "${numbers}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," numbers "${numbers}")
  string(APPEND arrays "static const unsigned char text_${name}[] = {\n${numbers}0};\n\n")
  string(APPEND rows "    {\"${name}\", text_${name}},\n")
endforeach()

set(content "/* Made by src/device/cuda/embed.cmake. */
#include \"device/cuda/cuda_compile.h\"

#include <string.h>

${arrays}static const struct {
    const char *name;
    const unsigned char *text;
} texts[] = {
${rows}    {NULL, NULL},
};

const char *cuda_kernel_text(const char *name) {
    for (size_t i = 0; texts[i].name; i++)
        if (strcmp(texts[i].name, name) == 0)
            return (const char *)texts[i].text;
    return NULL;
}
")
file(CONFIGURE OUTPUT ${OUT} CONTENT "${content}" @ONLY)
