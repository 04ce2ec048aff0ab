//! Documents: Markdown, HTML, charts and tables, in Korean and English.
