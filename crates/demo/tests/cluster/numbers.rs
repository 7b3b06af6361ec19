//! Numbered messages, so that it shows when one is missing, comes twice or in the wrong order.
