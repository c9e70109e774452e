"""Export an encoder for transformers, timm or open_clip, or as safetensors, with a model card."""

from radscale_lib.cli.export import main

if __name__ == "__main__":
    main()
