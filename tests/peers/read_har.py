"""Reads `--har FILE` with haralyzer, and tells what it finds of each entry."""

import common
from haralyzer import HarEntry, HarParser

OPTIONS = common.arguments("har")


def read():
    entries = HarParser.from_file(OPTIONS.har).har_data["entries"]
    found = []
    for raw in entries:
        entry = HarEntry(raw)
        found.append(
            {
                "method": entry.request.method,
                "url": entry.request.url,
                "status": entry.response.status,
                "started": entry.startTime.isoformat(),
                "time": entry.time,
                "mime": entry.response.mimeType,
                # Optional in HAR, and required by the property.
                "text": entry.response.text if "text" in raw["response"]["content"] else None,
                "address": entry.serverAddress,
                "request_size": entry.request.headersSize,
            }
        )
    return {"entries": found}


common.main(read)
