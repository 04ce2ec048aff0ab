//! Takes secrets out of what is written down: header values and credentials in URLs.

/// Flags whose values are headers.
const HEADER_FLAGS: [&str; 2] = ["--header", "--telemetry-header"];

/// The command line as it may be recorded: values of headers and credentials in URLs become `***`.
pub(crate) fn argv(args: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut header_follows = false;
    args.into_iter()
        .map(|arg| {
            if std::mem::take(&mut header_follows) {
                return header(&arg);
            }
            header_follows = HEADER_FLAGS.contains(&arg.as_str());
            match arg.split_once('=') {
                Some((flag, value)) if HEADER_FLAGS.contains(&flag) => {
                    format!("{flag}={}", header(value))
                }
                _ => url(&arg),
            }
        })
        .collect()
}

/// `Name: ***`.
fn header(value: &str) -> String {
    let name = value.split(':').next().unwrap_or_default();
    format!("{name}: ***")
}

/// The same text, with what stands between `://` and `@` of an authority, and the query, replaced.
pub(crate) fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let authority = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("***@{host}"));
    let path = path.split_once('?').map_or(path.to_owned(), |(path, _)| format!("{path}?***"));
    format!("{scheme}://{authority}{path}")
}

#[cfg(test)]
mod tests {
    use super::{argv, url};

    #[test]
    fn secrets_leave_the_command_line() {
        let args = [
            "bench",
            "--header",
            "Authorization: Bearer s3cret",
            "--header=X-Key: s3cret",
            "--telemetry-header",
            "Authorization: Bearer s3cret",
            "--telemetry-header=X-Scope: s3cret=",
            "--url",
            "http://user:s3cret@host:8000/base?token=s3cret",
            "--osl",
            "100",
        ];
        let redacted = argv(args.map(str::to_owned));
        assert_eq!(
            redacted,
            [
                "bench",
                "--header",
                "Authorization: ***",
                "--header=X-Key: ***",
                "--telemetry-header",
                "Authorization: ***",
                "--telemetry-header=X-Scope: ***",
                "--url",
                "http://***@host:8000/base?***",
                "--osl",
                "100"
            ]
        );
    }

    #[test]
    fn what_is_no_secret_stays() {
        assert_eq!(url("http://127.0.0.1:8000/v1"), "http://127.0.0.1:8000/v1");
        assert_eq!(url("--concurrency=1,2"), "--concurrency=1,2");
    }
}
