pub(super) fn config() -> service::config::Config { todo!() }
