/* cuda_lane.c - the lane: what a group is made of, and its beginning and end.
 *
 * Where texts begin, which row is whose and what attention's tiles are is
 * written down by the host once a group and copied to the lane's room. The
 * host's side is a stage as long as the room; it is not written to before what
 * was copied from it last is there. */

#include "device/cuda/cuda_parts.h"

#include <assert.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------ */

bool cuda_lane_open(struct cuda_device *cuda, struct error *err) {
    struct cuda_lane *lane = &cuda->lane;
    lane->lane = (struct lane){.device = &cuda->device};
    lane->cuda = cuda;
    return (CU(cuda, cuStreamCreate, &lane->stream, CU_STREAM_NON_BLOCKING) &&
            CU(cuda, cuEventCreate, &lane->staged, CU_EVENT_DISABLE_TIMING)) ||
           cuda_alive(cuda, err);
}

/* Nothing is copied from the stage any more. */
static void free_stage(struct cuda_lane *lane) {
    struct cuda_device *cuda = lane->cuda;
    if (lane->pinned)
        cuda->cu->cuMemHostUnregister(lane->host);
    memory_free(cuda->host, lane->host);
    lane->pinned = false;
    lane->host = NULL;
    lane->host_bytes = 0;
}

void cuda_lane_close(struct cuda_device *cuda) {
    struct cuda_lane *lane = &cuda->lane;
    if (!lane->cuda)
        return;
    if (lane->stream)
        cuda->cu->cuStreamSynchronize(lane->stream);
    free_stage(lane);
    if (lane->staged)
        cuda->cu->cuEventDestroy(lane->staged);
    if (lane->stream)
        cuda->cu->cuStreamDestroy(lane->stream);
}

struct lane *cuda_lane(struct device *device, unsigned number) {
    assert(number == 0);
    (void)number;
    return &cuda_of(device)->lane.lane;
}

/* Its threads are always shared. */
void cuda_widen(struct lane *lane, bool wide) {
    (void)lane;
    (void)wide;
}

/* ---- the room ----------------------------------------------------------- */

static void place(struct layout *layout, size_t rows, size_t texts,
                  size_t tiles, struct cuda_group *group) {
    group->ids = layout_take(layout, rows, sizeof *group->ids);
    group->text_rows = layout_take(layout, rows, sizeof *group->text_rows);
    group->starts = layout_take(layout, texts + 1, sizeof *group->starts);
    group->keys = layout_take(layout, texts, sizeof *group->keys);
    group->tiles = layout_take(layout, tiles, sizeof *group->tiles);
    group->bytes = layout->bytes;
    group->places = layout_take(layout, rows, sizeof *group->places);
}

/* Of a group of ROWS rows: each text has one, and its last tile may be cut. */
static size_t room_bytes(size_t rows) {
    struct layout measure = {0};
    struct cuda_group group;
    if (rows > UINT32_MAX)
        return SIZE_MAX;
    place(&measure, rows, rows, rows + rows / TILE_QUERIES, &group);
    return measure.overflow ? SIZE_MAX : measure.bytes;
}

size_t cuda_lane_bytes(const struct device *device, size_t rows) {
    (void)device;
    return room_bytes(rows);
}

/* Without memory for it device_submit fails. */
static void make_stage(struct cuda_lane *lane, size_t bytes) {
    struct cuda_device *cuda = lane->cuda;
    if (lane->host && cuda_enter(cuda))
        CU(cuda, cuEventSynchronize, lane->staged);
    free_stage(lane);
    lane->host = memory_alloc(cuda->host, 1, bytes, NULL);
    if (!lane->host)
        return;
    lane->host_bytes = bytes;
    lane->pinned = cuda_enter(cuda) &&
                   cuda->cu->cuMemHostRegister(lane->host, bytes, 0) == 0;
}

void cuda_lane_use(struct lane *base, void *room, size_t rows) {
    struct cuda_lane *lane = cuda_lane_of(base);
    size_t bytes = room_bytes(rows);
    lane->room = room;
    lane->rows_most = rows;
    if (bytes > lane->host_bytes)
        make_stage(lane, bytes);
}

/* ---- a group ------------------------------------------------------------ */

/* FROM and TO lie in the stage and at the same place in the room. */
static bool send(struct cuda_lane *lane, const void *from, void *to,
                 size_t bytes) {
    struct cuda_device *cuda = lane->cuda;
    return CU(cuda, cuMemcpyHtoDAsync, cuda_address(to), from, bytes,
              lane->stream) &&
           CU(cuda, cuEventRecord, lane->staged, lane->stream);
}

static size_t text_rows(const struct sequences *texts, size_t t) {
    return texts->starts[t + 1] - texts->starts[t];
}

static void measure_texts(struct cuda_lane *lane,
                          const struct sequences *texts) {
    lane->rows = sequences_rows(texts);
    lane->texts = texts->texts;
    lane->tiles = lane->longest = 0;
    for (size_t t = 0; t < texts->texts; t++) {
        size_t rows = text_rows(texts, t);
        lane->tiles += cuda_blocks(rows, TILE_QUERIES);
        lane->longest = rows > lane->longest ? rows : lane->longest;
    }
}

static void write_group(const struct cuda_group *to,
                        const struct sequences *texts, const uint32_t *ids) {
    size_t row = 0, tile = 0;
    for (size_t t = 0; t < texts->texts; t++) {
        size_t rows = text_rows(texts, t);
        to->starts[t] = (uint32_t)row;
        to->keys[t] = texts->keys ? texts->keys[t] : (uint32_t)rows;
        for (size_t r = 0; r < rows; r += TILE_QUERIES)
            to->tiles[tile++] =
                (struct attention_tile){(uint32_t)t, (uint32_t)r};
        for (size_t r = 0; r < rows; r++)
            to->text_rows[row++] = (uint32_t)r;
    }
    to->starts[texts->texts] = (uint32_t)row;
    if (ids && row)
        memcpy(to->ids, ids, row * sizeof *ids);
}

void cuda_group(struct lane *base, const struct sequences *texts,
                const uint32_t *ids) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct cuda_device *cuda = lane->cuda;
    lane->rows = lane->texts = lane->tiles = 0;
    lane->coded = NULL;
    lane->products.at = NULL;
    if (!lane->host || !cuda_enter(cuda) ||
        !CU(cuda, cuEventSynchronize, lane->staged))
        return;
    measure_texts(lane, texts);
    lane->has_keys = texts->keys;
    lane->has_places = false;
    if (lane->rows > lane->rows_most || lane->texts > lane->rows_most) {
        cuda_broke(cuda, "a group of %zu rows and %zu texts in room for %zu",
                   lane->rows, lane->texts, lane->rows_most);
        return;
    }
    struct layout host = {.base = lane->host}, card = {.base = lane->room};
    place(&host, lane->rows, lane->texts, lane->tiles, &lane->on_host);
    place(&card, lane->rows, lane->texts, lane->tiles, &lane->on_card);
    write_group(&lane->on_host, texts, ids);
    send(lane, lane->host, lane->room, lane->on_host.bytes);
}

/* ---- embedding ---------------------------------------------------------- */

/* A row's position id and type id, as one number. Without a table any id would
 * do. */
static void write_places(const struct embedding *e, const uint32_t *ids,
                         const struct sequences *texts, uint32_t *places) {
    size_t row = 0;
    for (size_t t = 0; t < texts->texts; t++) {
        size_t next = e->position_first, rows = text_rows(texts, t);
        size_t second = texts->second ? texts->second[t] : SIZE_MAX;
        for (size_t r = 0; r < rows; r++, row++) {
            bool pad = e->pad_has_no_position && ids[row] == e->pad;
            size_t id = pad ? e->position_first - 1 : next++;
            bool type = r >= second && e->types > 1;
            places[row] = (uint32_t)(2 * id + type);
        }
    }
}

static bool send_places(struct cuda_lane *lane, const struct embedding *e,
                        const uint32_t *ids, const struct sequences *texts) {
    struct cuda_device *cuda = lane->cuda;
    if (lane->has_places && !CU(cuda, cuEventSynchronize, lane->staged))
        return false;
    write_places(e, ids, texts, lane->on_host.places);
    lane->has_places = true;
    return send(lane, lane->on_host.places, lane->on_card.places,
                lane->rows * sizeof *lane->on_host.places);
}

/* The group has the ids and the same texts. */
void cuda_embed(struct lane *base, const struct embedding *e,
                const uint32_t *ids, const struct sequences *texts, float *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    if (!lane->rows || !cuda_enter(lane->cuda) ||
        ((e->position || e->type) && !send_places(lane, e, ids, texts)))
        return;
    LAUNCH(lane, embed_rows, cuda_blocks(lane->rows, ROW_WARPS), 1,
           .ids = lane->on_card.ids, .places = lane->on_card.places,
           .words = e->words, .position = e->position, .type = e->type, .y = y,
           .scale = e->scale, .rows = (unsigned)lane->rows,
           .width = (unsigned)e->width);
}

/* ---- beginning and end -------------------------------------------------- */

bool cuda_submit(struct lane *base, struct error *err) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct cuda_device *cuda = lane->cuda;
    cuda->submits++;
    if (lane->room && !lane->host)
        return error_set(err, ERROR_MEMORY,
                         "%s: there is no host memory for what a batch's texts "
                         "are; lower the budget",
                         cuda->device.name);
    if (cuda_enter(cuda))
        cuda_stage_settle(cuda);
    return cuda_alive(cuda, err);
}

void cuda_download(struct lane *base, const float *from, size_t count,
                   float *to) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct cuda_device *cuda = lane->cuda;
    if (count && cuda_enter(cuda))
        CU(cuda, cuMemcpyDtoHAsync, to, cuda_address(from), count * sizeof *to,
           lane->stream);
}

bool cuda_finish(struct lane *base, struct error *err) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct cuda_device *cuda = lane->cuda;
    if (cuda_enter(cuda))
        CU(cuda, cuStreamSynchronize, lane->stream);
    return cuda_alive(cuda, err);
}
