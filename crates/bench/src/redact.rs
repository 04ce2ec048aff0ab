//! Takes secrets out of text that is written down: header values and credentials in URLs.

use records::redact_url;

/// Flags whose values are headers.
const HEADER_FLAGS: [&str; 2] = ["--header", "--telemetry-header"];

/// The command line as it may be recorded: values of headers and credentials in URLs become `***`.
pub fn command_line(args: impl IntoIterator<Item = String>) -> Vec<String> {
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
                _ => redact_url(&arg),
            }
        })
        .collect()
}

/// `Name: ***`.
fn header(value: &str) -> String {
    let name = value.split(':').next().unwrap_or_default();
    format!("{name}: ***")
}

#[cfg(test)]
mod tests {
    use super::command_line;

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
        let redacted = command_line(args.map(str::to_owned));
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
}
