//! The client against captured streams and against small servers on the loopback interface.

#[cfg(test)]
mod captures;
#[cfg(test)]
mod levels;
mod open_loop;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod server;
