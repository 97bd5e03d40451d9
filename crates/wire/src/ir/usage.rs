//! What an exchange used, by class.

/// What an exchange used. Totals include their parts, as in OpenTelemetry's conventions
/// (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>); Anthropic's `input_tokens`, which
/// leaves cached tokens out, is summed up by its decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Everything that was read, cached or not.
    pub input_tokens: u64,
    /// Of the input: read from the provider's prompt cache.
    pub cache_read_tokens: u64,
    /// Of the input: written to the prompt cache with the usual lifetime (five minutes).
    pub cache_write_tokens: u64,
    /// Of the input: written to the prompt cache for an hour.
    pub cache_write_1h_tokens: u64,
    /// Of the input: sound.
    pub input_audio_tokens: u64,
    /// Everything that was generated.
    pub output_tokens: u64,
    /// Of the output: reasoning.
    pub reasoning_tokens: u64,
    /// Of the output: sound.
    pub output_audio_tokens: u64,
    /// Of the input: pictures, where they are told apart.
    pub input_image_tokens: u64,
    /// Of the output: pictures, where they are told apart.
    pub output_image_tokens: u64,
    /// Pictures that were made.
    pub images: u64,
    /// Sound that was heard or made, in milliseconds.
    pub audio_ms: u64,
    /// Characters that were spoken.
    pub characters: u64,
    /// Searches, as rerankers count them.
    pub searches: u64,
}

impl Usage {
    /// Later reports of one exchange are cumulative: each class keeps its largest value.
    pub fn merge(&mut self, later: &Usage) {
        let pairs = [
            (&mut self.input_tokens, later.input_tokens),
            (&mut self.cache_read_tokens, later.cache_read_tokens),
            (&mut self.cache_write_tokens, later.cache_write_tokens),
            (&mut self.cache_write_1h_tokens, later.cache_write_1h_tokens),
            (&mut self.input_audio_tokens, later.input_audio_tokens),
            (&mut self.output_tokens, later.output_tokens),
            (&mut self.reasoning_tokens, later.reasoning_tokens),
            (&mut self.output_audio_tokens, later.output_audio_tokens),
            (&mut self.input_image_tokens, later.input_image_tokens),
            (&mut self.output_image_tokens, later.output_image_tokens),
            (&mut self.images, later.images),
            (&mut self.audio_ms, later.audio_ms),
            (&mut self.characters, later.characters),
            (&mut self.searches, later.searches),
        ];
        for (mine, theirs) in pairs {
            *mine = (*mine).max(theirs);
        }
    }

    /// The largest of its counts.
    pub fn largest(&self) -> u64 {
        let counts = [
            self.input_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
            self.input_audio_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.output_audio_tokens,
            self.input_image_tokens,
            self.output_image_tokens,
            self.images,
            self.audio_ms,
            self.characters,
            self.searches,
        ];
        counts.into_iter().max().unwrap_or_default()
    }

    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}
