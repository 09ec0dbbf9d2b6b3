/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/aws: walks through XML with expat. The walker keeps the path of the open element
 * ("/RunInstancesResponse/instancesSet/item/instanceId") and passes each element with its text to a
 * reader, which recognizes it by the path. Depth and text are bounded; document types, which could
 * define entities, are refused.
 */

#include <expat.h>
#include <stddef.h>

#include "base/err.h"

#define XML_PATH_MAX 512
#define XML_TEXT_MAX 2048

struct xml_walker {
        /* The reader, set before the walk. */
        void (*open)(struct xml_walker *walker);  /* an element begins; may be NULL */
        void (*close)(struct xml_walker *walker); /* it ends; if it has no children, `text` is its
                                                     content */
        void *userdata;

        char path[XML_PATH_MAX + 1]; /* of the element that begins or ends: "/a/b/c" */
        char text[XML_TEXT_MAX];     /* not ended by a NUL; what is beyond the limit is dropped */
        size_t text_size;

        /* Private. */
        XML_Parser parser;
        size_t path_size;
        const char *fault; /* why the document is refused, or NULL */
        size_t fault_at;   /* byte */
};

/* Walks through the whole of XML: 0, or -EBADMSG with the byte where it went wrong. */
int xml_walk(struct xml_walker *walker, const char *xml, size_t size, struct err *err);

/* For readers: ends the walk with -EBADMSG. FAULT is a literal. */
void xml_refuse(struct xml_walker *walker, const char *fault);
