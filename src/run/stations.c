#include "run/stations.h"

#include <string.h>

/* The station whose lock's name comes next behind LAST's: all programs lease in
 * the order of names, so that two runs cannot wait for each other. */
static struct station *next_by_name(struct session *session,
                                    const struct station *last) {
    struct station *next = NULL;
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *s = &session->stations[i];
        const char *name = device_identity(s->device);
        if ((!last || strcmp(name, device_identity(last->device)) > 0) &&
            (!next || strcmp(name, device_identity(next->device)) < 0))
            next = s;
    }
    return next;
}

bool stations_lease(struct session *session, const struct sink *sink,
                    const char *holder, struct error *err) {
    struct lease_terms terms = session_lease_terms(session);
    terms.sink = sink;
    struct station *station = next_by_name(session, NULL);
    for (; station; station = next_by_name(session, station)) {
        station_begin(station);
        if (station->lost || station->spare || station->lease.device)
            continue;
        if (!lease_acquire(&station->lease, station->device, holder, &terms,
                           err) ||
            (!station->device->shared && !station_set_ceiling(station, err)))
            return false;
    }
    return true;
}

void stations_release(struct session *session, json_t *leases) {
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        if (!station->lease.device)
            continue;
        uint64_t peak = memory_peak(station->device->account);
        lease_release(&station->lease, peak, station->tokens_high);
        json_array_append_new(leases, lease_describe(&station->lease, peak,
                                                     station->tokens_high));
    }
}

void stations_start(struct session *session) {
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        size_t most = 1;
        for (size_t k = 0; k < station->residents_count; k++)
            if (station->residents[k]->tokens > most)
                most = station->residents[k]->tokens;
        station->given_up_count = 0;
        controller_start(&station->controller, most, station->margin);
    }
}

void stations_leave(struct session *session, const struct sink *sink) {
    for (size_t i = 0; i < session->stations_count; i++) {
        struct station *station = &session->stations[i];
        station_clear(station);
        if (!session->options->warm)
            while (station->residents_count)
                stations_put_away(sink, station, station->residents[0]);
    }
}

bool stations_serve(const struct session *session,
                    const struct member *member) {
    for (size_t i = 0; i < session->stations_count; i++)
        if (station_serving(&session->stations[i], member))
            return true;
    return false;
}

void stations_put_away(const struct sink *sink, struct station *station,
                       struct resident *resident) {
    event_emit(sink, "model_unloaded",
               json_pack("{s:s, s:s}", "model", resident->member->key, "device",
                         station_name(station)));
    station_unload(station, resident);
}
