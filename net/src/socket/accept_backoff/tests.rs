use super::*;

#[test]
fn a_client_that_left_costs_no_pause() {
    let mut backoff = AcceptBackoff::new();
    for kind in [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted]
    {
        assert_eq!(backoff.after(&kind.into()), AfterError::Retry);
    }
}

#[test]
fn pauses_double_up_to_a_limit() {
    let mut backoff = AcceptBackoff::new();
    let mut expected = FIRST_PAUSE;
    for &code in RESOURCES.iter().cycle().take(16) {
        let error = io::Error::from_raw_os_error(code);
        assert_eq!(backoff.after(&error), AfterError::Pause(expected));
        expected = (expected * 2).min(LONGEST_PAUSE);
    }
    assert_eq!(expected, LONGEST_PAUSE);
}

#[test]
fn an_unusable_listener_fails() {
    assert_eq!(AcceptBackoff::new().after(&io::ErrorKind::InvalidInput.into()), AfterError::Fail);
}
