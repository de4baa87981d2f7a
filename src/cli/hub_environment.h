/* hub_environment.h - what the environment says of the hub and the way to it,
 * under the names that huggingface_hub and curl have for it:
 *
 *   HF_ENDPOINT                        the server
 *   HF_TOKEN, HUGGING_FACE_HUB_TOKEN   the token; else the file HF_TOKEN_PATH,
 *                                      else HF_HOME/token
 *   HF_HUB_DISABLE_IMPLICIT_TOKEN      send none
 *   HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE
 *   HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT   seconds
 *   http_proxy, https_proxy, all_proxy, no_proxy, SSL_CERT_FILE
 */

#ifndef CLI_HUB_ENVIRONMENT_H
#define CLI_HUB_ENVIRONMENT_H

#include "cli/options.h"

/* Fill the hub_* members of OPTIONS. A token that cannot be one is left out
 * with a warning. */
bool hub_environment(char *const *environment, struct options *options,
                     struct error *err);

#endif
