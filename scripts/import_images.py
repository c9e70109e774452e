"""Turn a collection of radiographs into DICOM files and tables."""

from radscale_lib.cli.import_images import main

if __name__ == "__main__":
    main()
