"""What the log says of a request that was refused (400 to 499): one line, as nothing in the portal is broken."""

import logging


class TellInOneLine(logging.Filter):
    """Leaves the traceback out of a refusal; an error of the portal's own keeps it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.exc_info = record.exc_text = None
        return True
