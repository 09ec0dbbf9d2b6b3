/* SPDX-License-Identifier: MIT */

/*
 * See xml.h.
 */

#include "xml.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void xml_refuse(struct xml_walker *walker, const char *fault)
{
        if (walker->fault)
                return;
        walker->fault = fault;
        walker->fault_at = (size_t)XML_GetCurrentByteIndex(walker->parser);
        XML_StopParser(walker->parser, XML_FALSE);
}

static void on_start(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
        struct xml_walker *walker = userdata;
        size_t size = strlen(name);

        (void)attributes;
        if (walker->fault)
                return;
        if (size + 1 > XML_PATH_MAX - walker->path_size) {
                xml_refuse(walker, "elements are nested too deep");
                return;
        }
        walker->path[walker->path_size++] = '/';
        memcpy(walker->path + walker->path_size, name, size + 1);
        walker->path_size += size;
        walker->text_size = 0;
        if (walker->open)
                walker->open(walker);
}

static void on_text(void *userdata, const XML_Char *text, int size)
{
        struct xml_walker *walker = userdata;
        size_t room = sizeof(walker->text) - walker->text_size;
        size_t n = (size_t)size < room ? (size_t)size : room;

        memcpy(walker->text + walker->text_size, text, n);
        walker->text_size += n;
}

static void on_end(void *userdata, const XML_Char *name)
{
        struct xml_walker *walker = userdata;

        if (walker->fault)
                return;
        walker->close(walker);
        walker->path_size -= strlen(name) + 1;
        walker->path[walker->path_size] = '\0';
        walker->text_size = 0;
}

static void on_document_type(void *userdata, const XML_Char *name, const XML_Char *system_id,
        const XML_Char *public_id, int has_internal_subset)
{
        (void)name;
        (void)system_id;
        (void)public_id;
        (void)has_internal_subset;
        xml_refuse(userdata, "it has a document type");
}

int xml_walk(struct xml_walker *walker, const char *xml, size_t size, struct err *err)
{
        XML_Parser parser = XML_ParserCreate("UTF-8");
        int r = 0;

        if (!parser)
                abort(); /* no memory */
        walker->parser = parser;
        XML_SetUserData(parser, walker);
        XML_SetElementHandler(parser, on_start, on_end);
        XML_SetCharacterDataHandler(parser, on_text);
        XML_SetStartDoctypeDeclHandler(parser, on_document_type);
        if (size > INT_MAX)
                r = err_set(err, -EBADMSG, "the XML is too large");
        else if (XML_Parse(parser, xml, (int)size, XML_TRUE) != XML_STATUS_OK || walker->fault)
                r = err_set(err, -EBADMSG, "the XML cannot be read: %s at byte %zu of %zu",
                        walker->fault ? walker->fault : XML_ErrorString(XML_GetErrorCode(parser)),
                        walker->fault ? walker->fault_at : (size_t)XML_GetCurrentByteIndex(parser),
                        size);
        XML_ParserFree(parser);
        return r;
}
