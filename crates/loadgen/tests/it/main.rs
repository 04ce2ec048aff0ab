//! The client against captured streams and against small servers on the loopback interface.

#[cfg(test)]
#[cfg(feature = "tls")]
mod access;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod http1;
#[cfg(test)]
#[cfg(feature = "tls")]
mod http2;
#[cfg(test)]
mod levels;
#[cfg(test)]
mod open_loop;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod server;
#[cfg(test)]
mod work;
