use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::WebError;

/// 256 bits that nobody can guess, as 43 letters that need no quoting anywhere.
pub(crate) fn token() -> Result<String, WebError> {
    Ok(URL_SAFE_NO_PAD.encode(bytes()?))
}

/// 256 bits that nobody can guess.
pub(crate) fn bytes() -> Result<[u8; 32], WebError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| WebError::Random(error.to_string()))?;
    Ok(bytes)
}
