//! The `nocturne` binary.
fn main() {}
